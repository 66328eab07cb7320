//! Telling an answer from the sentence that says that there is none.

/// Whether a text is the configured sentence and nothing else, however it is dressed: models add
/// quotation marks, emphasis, a citation, or leave out the last full stop.
#[must_use]
pub fn is_no_answer(text: &str, sentence: &str) -> bool {
    let sentence = bare(sentence);
    !sentence.is_empty() && bare(text) == sentence
}

/// Whether a text begins with the sentence: the provider without a model goes on to say what it is.
#[must_use]
pub fn begins_with_no_answer(text: &str, sentence: &str) -> bool {
    let sentence = bare(sentence);
    !sentence.is_empty() && bare(text).starts_with(&sentence)
}

/// Letters and digits in lower case, single spaces, and no marks in brackets.
fn bare(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut in_mark = false;
    for c in text.chars() {
        match c {
            '[' => in_mark = true,
            ']' => in_mark = false,
            _ if in_mark => {}
            c if c.is_alphanumeric() => bare.extend(c.to_lowercase()),
            c if c.is_whitespace() && !bare.ends_with(' ') => bare.push(' '),
            _ => {}
        }
    }
    bare.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_is_known_however_it_is_dressed() {
        let sentence = "I could not find that in our documents.";
        for same in [
            sentence,
            "“I could not find that in our documents.”",
            "**I could not find that  in our documents** [1]\n",
        ] {
            assert!(is_no_answer(same, sentence), "{same}");
        }
        for other in [
            "",
            "I could not find that in our documents, but it is 60 days.",
            "It is 60 days.",
        ] {
            assert!(!is_no_answer(other, sentence), "{other}");
        }
        assert!(begins_with_no_answer(
            &format!("{sentence}\n\nNo model."),
            sentence
        ));
        assert!(
            !is_no_answer("…", "?"),
            "a sentence without letters tells nothing"
        );
    }
}
