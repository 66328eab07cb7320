//! What to look for when a question leans on the ones before it: "And in winter?" names nothing that
//! a document has.
//!
//! No model is asked to rewrite the question: that costs a visitor a second before every answer.
//! A short question is looked for twice, alone and with what it may lean on, and both results are
//! fused. If it opened a new subject after all, the search without the old one finds it.

use super::small_talk;

/// A question of so many words or fewer may lean on an earlier one.
const FEW_WORDS: usize = 7;
/// The same in writing without spaces, in characters.
const FEW_CHARACTERS: usize = 14;
/// At most so many earlier questions are added.
const MOST_EARLIER: usize = 3;

/// What to look for, given the earlier questions, latest first.
pub fn queries<'a>(question: &str, earlier: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut queries = vec![question.to_owned()];
    if !leans(question) {
        return queries;
    }
    let mut context = Vec::new();
    for asked in earlier.filter(|asked| small_talk::recognise(asked, "").is_none()) {
        context.insert(0, asked);
        // One that stands for itself names what the conversation is about.
        if !leans(asked) || context.len() == MOST_EARLIER {
            break;
        }
    }
    if !context.is_empty() {
        context.push(question);
        queries.push(context.join("\n"));
    }
    queries
}

fn leans(question: &str) -> bool {
    let words = question
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphanumeric))
        .count();
    let unspaced = question.chars().filter(|c| is_unspaced(*c)).count();
    if unspaced > 0 {
        unspaced <= FEW_CHARACTERS
    } else {
        words <= FEW_WORDS
    }
}

/// Chinese, Japanese and Thai put no spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(question: &str, earlier: &[&str]) -> Vec<String> {
        queries(question, earlier.iter().copied())
    }

    #[test]
    fn a_short_question_is_also_looked_for_with_what_it_leans_on() {
        let first = "How do I take care of the tent's groundsheet and its poles?";
        assert_eq!(
            asked("And in winter?", &[first, "What else is there?"]),
            [
                "And in winter?".to_owned(),
                format!("{first}\nAnd in winter?")
            ]
        );
        assert_eq!(
            asked("And the pegs?", &["Thank you!", "And in winter?", first]),
            [
                "And the pegs?".to_owned(),
                format!("{first}\nAnd in winter?\nAnd the pegs?")
            ],
            "thanks name nothing"
        );
        assert_eq!(
            asked(
                "冬は？",
                &["テントの手入れはどうすればよいですか教えてください"]
            )
            .len(),
            2
        );
    }

    #[test]
    fn a_question_that_stands_for_itself_and_a_first_one_are_looked_for_alone() {
        let whole = "How long does it take until a parcel arrives in Norway?";
        assert_eq!(asked(whole, &["What is your address?"]), [whole]);
        assert_eq!(asked("And in winter?", &[]), ["And in winter?"]);
        assert_eq!(asked("And in winter?", &["Hello!"]), ["And in winter?"]);
    }
}
