//! Greetings, thanks and farewells, in the languages that visitors write in most.
//!
//! They ask nothing, so nothing is looked for, no passages are given to the model, and an answer to
//! them is never one that found nothing. What is not known here is treated as a question, which
//! costs a search and nothing else; so the list holds only what can hardly be one.

mod phrases;

use phrases::{Phrases, known};

/// More words than this are no mere greeting.
const MOST_WORDS: usize = 8;

/// What a visitor says who asks nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Hello.
    Greeting,
    /// Thanks, or that it is well.
    Thanks,
    /// Good-bye.
    Farewell,
}

/// Small talk, and the languages that it may be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallTalk {
    kind: Kind,
    languages: Vec<&'static str>,
}

/// Whether a message only greets, thanks or takes leave; the bot's name may be in it.
#[must_use]
pub fn recognise(message: &str, bot_name: &str) -> Option<SmallTalk> {
    let said = words(message);
    if said.is_empty() {
        return pictures(message);
    }
    if said.len() > MOST_WORDS {
        return None;
    }
    let name = words(bot_name);
    let mut rest = said.as_slice();
    let mut found: Option<SmallTalk> = None;
    while !rest.is_empty() {
        if !name.is_empty() && rest.starts_with(&name) {
            rest = &rest[name.len()..];
        } else if let Some((length, talk)) = phrase(rest) {
            rest = &rest[length..];
            // “Hello and thanks” thanks: the last says what the visitor is after.
            found = Some(talk);
        } else if known().fillers.contains(&rest[0]) {
            rest = &rest[1..];
        } else {
            return None;
        }
    }
    found
}

impl SmallTalk {
    /// What a bot without a model says to it, in the visitor's locale where that fits.
    #[must_use]
    pub fn reply(&self, locale: Option<&str>) -> &'static str {
        let locale = locale.unwrap_or_default().split(['-', '_']).next();
        let preferred = self
            .languages
            .iter()
            .copied()
            .find(|language| Some(*language) == locale);
        let language = preferred.or_else(|| self.languages.first().copied());
        let phrases = language.and_then(|code| known().languages.iter().find(|it| it.code == code));
        phrases.map_or("", |phrases| phrases.reply(self.kind))
    }
}

/// What a message without a word says by its pictures; none where one of them says something else.
fn pictures(message: &str) -> Option<SmallTalk> {
    let mut found = None;
    for c in message.chars() {
        found = match c {
            '👋' => Some(Kind::Greeting),
            '👍' | '👌' | '🙏' | '❤' | '🎉' | '🙂' | '😀' | '😃' | '😄' | '😊' | '😍' => {
                Some(Kind::Thanks)
            }
            // How a picture is drawn, and what joins two.
            '\u{fe0f}' | '\u{200d}' | '\u{1f3fb}'..='\u{1f3ff}' | '!' | ' ' => found,
            _ => return None,
        };
    }
    let languages = known().languages.iter().map(|it| it.code.as_str());
    found.map(|kind| SmallTalk {
        kind,
        languages: languages.collect(),
    })
}

/// The longest phrase that a text begins with, and how many words it has.
fn phrase(words: &[String]) -> Option<(usize, SmallTalk)> {
    let longest = words.len().min(4);
    (1..=longest).rev().find_map(|length| {
        let text = words[..length].join(" ");
        let in_language =
            |phrases: &'static Phrases| Some((phrases.code.as_str(), phrases.kind_of(&text)?));
        let found: Vec<_> = known().languages.iter().filter_map(in_language).collect();
        let kind = found.first()?.1;
        let languages = found.iter().map(|(code, _)| *code).collect();
        Some((length, SmallTalk { kind, languages }))
    })
}

/// A text's words in lower case, without punctuation and pictures.
fn words(text: &str) -> Vec<String> {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, '\'' | '’' | '\u{0301}'))
        .map(|c| if is_of_a_word(c) { c } else { ' ' })
        .flat_map(char::to_lowercase)
        .collect();
    plain.split_whitespace().map(str::to_owned).collect()
}

/// Letters, digits, and the marks that Indic and Arabic writing put on letters.
fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\u{064b}'..='\u{0652}' | '\u{0900}'..='\u{097f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(message: &str) -> Option<Kind> {
        recognise(message, "Fern").map(|talk| talk.kind)
    }

    #[test]
    fn greetings_thanks_and_farewells_are_known_in_many_languages() {
        for greeting in [
            "Hello!",
            "Hi there 👋",
            "👋🏽",
            "hey Fern",
            "Good morning",
            "Guten Tag",
            "Hallo zusammen",
            "Grüezi",
            "Bonjour",
            "¡Hola! Buenos días",
            "Buongiorno",
            "Olá, bom dia",
            "Goedemorgen",
            "Dzień dobry",
            "Merhaba",
            "مرحبا",
            "السلام عليكم",
            "Здравствуйте",
            "こんにちは",
            "你好！",
            "안녕하세요",
            "नमस्ते",
            "Hej",
            "Ahoj",
            "Привіт",
        ] {
            assert_eq!(kind(greeting), Some(Kind::Greeting), "{greeting}");
        }
        for thanks in [
            "thanks",
            "ok",
            "👍",
            "❤️ 🙏!",
            "Thank you so much!",
            "OK, thanks Fern",
            "Vielen Dank",
            "Merci beaucoup",
            "Muchas gracias",
            "Grazie mille",
            "Obrigado",
            "Dank je wel",
            "Dziękuję bardzo",
            "Teşekkür ederim",
            "شكرا جزيلا",
            "Спасибо большое",
            "ありがとうございます",
            "谢谢",
            "감사합니다",
            "धन्यवाद",
            "Tack",
            "Hello and thanks",
        ] {
            assert_eq!(kind(thanks), Some(Kind::Thanks), "{thanks}");
        }
        for farewell in [
            "Bye",
            "Goodbye!",
            "Auf Wiedersehen",
            "Tschüss",
            "Au revoir",
            "Adiós",
            "Arrivederci",
            "Tchau",
            "Tot ziens",
            "Do widzenia",
            "Güle güle",
            "مع السلامة",
            "再见",
            "さようなら",
        ] {
            assert_eq!(kind(farewell), Some(Kind::Farewell), "{farewell}");
        }
    }

    #[test]
    fn a_question_is_none_though_it_begins_politely() {
        for question in [
            "",
            "?",
            "🤔",
            "👍?",
            "Fern",
            "and",
            "Hello, how long does shipping take?",
            "Thanks, and in winter?",
            "Danke, und die Schuhe?",
            "Hi, returns",
            "thanksgiving opening hours",
            "no",
            "hello hello hello hello hello hello hello hello hello",
            "Merci pour la taille 42",
        ] {
            assert_eq!(kind(question), None, "{question}");
        }
    }

    #[test]
    fn a_bot_without_a_model_answers_in_the_visitors_language() {
        let hallo = recognise("Hallo", "").unwrap();
        assert!(
            hallo.reply(Some("de-AT")).starts_with("Hallo! Wie"),
            "{hallo:?}"
        );
        assert!(hallo.reply(Some("nl")).starts_with("Hallo! Waar"));
        assert!(!hallo.reply(Some("xx")).is_empty() && !hallo.reply(None).is_empty());
        assert!(known().languages.len() >= 18, "the file is read");
        for phrases in &known().languages {
            for kind in [Kind::Greeting, Kind::Thanks, Kind::Farewell] {
                assert!(!phrases.reply(kind).is_empty());
            }
        }
    }
}
