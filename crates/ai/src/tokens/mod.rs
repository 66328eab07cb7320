//! How many tokens a text is.
//!
//! Asking the provider costs a round trip, and most providers publish no vocabulary. So texts are
//! estimated by their script, on the safe side; where a [`Vocabulary`] is known and the estimate
//! would cost something, they are counted.

mod vocabulary;

use stoa_domain::Provider;

pub use vocabulary::{Vocabulary, VocabularyError};

/// How many tokens a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenCount {
    /// So many.
    Exact(u64),
    /// No more than so many, for texts as people and programs write them. A row of letters that is
    /// no word of any language can be more.
    AtMost(u64),
}

impl TokenCount {
    /// The number to plan with.
    #[must_use]
    pub const fn upper(self) -> u64 {
        match self {
            Self::Exact(count) | Self::AtMost(count) => count,
        }
    }
}

/// How many tokens `text` is for a model of `provider`.
///
/// The estimate is meant for the vocabularies of OpenAI since 2023 and those of like size or
/// larger, which all providers here use; the model makes no difference yet.
#[must_use]
pub fn estimate_tokens(provider: Provider, _model: &str, text: &str) -> TokenCount {
    if provider == Provider::Passages || text.is_empty() {
        return TokenCount::Exact(0);
    }
    let halves = halves(text);
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    // Every vocabulary has the single bytes, so no text is more tokens than bytes.
    TokenCount::AtMost(halves.div_ceil(2).min(bytes))
}

/// The estimate in half tokens.
fn halves(text: &str) -> u64 {
    let mut halves = 0;
    let mut word = Word::default();
    let mut humps = 0;
    let mut after_space = false;
    for character in text.chars() {
        if character.is_alphabetic() && is_latin(character) {
            // `camelCase` is two words to a tokeniser as well. What has many humps is no name but
            // a key or base64, of which two or three letters are one.
            if character.is_uppercase() && !word.is_upper && word.letters > 0 {
                humps += 1;
                halves += word.end() + if humps > 1 { 2 } else { 0 };
            }
            word.add(character);
        } else {
            halves += word.end() + weight(character, after_space);
            if !character.is_ascii_digit() {
                humps = 0;
            }
        }
        after_space = character == ' ';
    }
    halves + word.end()
}

/// A run of Latin letters.
#[derive(Default)]
struct Word {
    letters: u64,
    /// What letters outside of ASCII add, in half tokens.
    accents: u64,
    is_upper: bool,
}

impl Word {
    fn add(&mut self, letter: char) {
        self.is_upper = letter.is_uppercase();
        self.letters += 1;
        self.accents += match letter {
            '\0'..='\u{7f}' => 0,
            '\u{80}'..='\u{ff}' => 1,
            _ => 2,
        };
    }

    /// Common words are one token, longer ones one for about four letters, compounds one for less
    /// than three, and an accent may cut one in two.
    fn end(&mut self) -> u64 {
        let word = std::mem::take(self);
        match word.letters {
            0 => 0,
            1..=4 => 2 + word.accents,
            letters @ 5..=12 => 2 * letters.div_ceil(4) + word.accents,
            letters => 2 * (letters * 2).div_ceil(5) + word.accents,
        }
    }
}

fn is_latin(character: char) -> bool {
    character < '\u{250}' || ('\u{1e00}'..'\u{1f00}').contains(&character)
}

/// What a character is by itself, in half tokens.
fn weight(character: char, after_space: bool) -> u64 {
    match character {
        // A single space belongs to the word behind it; more of them are indentation.
        ' ' => u64::from(after_space),
        // But to a number it does not belong.
        '0'..='9' if after_space => 4,
        '\0'..='\u{7f}' => 2,
        // Greek and Hebrew, which older vocabularies know little of.
        '\u{370}'..='\u{3ff}' | '\u{590}'..='\u{5ff}' => 3,
        // Cyrillic, Armenian, Arabic.
        '\u{370}'..='\u{7ff}' => 2,
        // Kana and the punctuation of East Asia.
        '\u{3000}'..='\u{30ff}' | '\u{ff00}'..='\u{ffef}' => 2,
        // Han and Hangul.
        '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' => 3,
        // Dashes, quotes, arrows, and what else people's keyboards put in.
        '\u{80}'..='\u{24f}' | '\u{2000}'..='\u{2bff}' => 3,
        // Indic scripts, Thai, and other three-byte letters.
        '\u{800}'..='\u{ffff}' => 4,
        // Emoji and rare letters.
        _ => 8,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts with their lengths in the vocabularies of GPT-4 (`cl100k_base`) and GPT-4o
    /// (`o200k_base`), as OpenAI's own encoder counts them.
    pub(super) const KNOWN: &[(&str, u64, u64)] = &[
        ("hello world", 2, 2),
        ("antidisestablishmentarianism", 6, 6),
        ("2 + 2 = 4", 7, 7),
        (
            "The return window is sixty days from delivery; refunds go to the card that paid, usually within five working days.",
            23,
            23,
        ),
        (
            "Donaudampfschifffahrtsgesellschaftskapitän und Rechtsschutzversicherungsgesellschaften grüßen höflich.",
            37,
            25,
        ),
        (
            "Où est passé l'élève déçu ? Là-bas, près de la forêt enchantée où naît l'été.",
            30,
            25,
        ),
        (
            "Zażółć gęślą jaźń, a potem idź spać; ścieżka wiedzie przez źdźbła traw.",
            38,
            34,
        ),
        (
            "Çok çalışkan öğrenciler İstanbul'dan Ankara'ya gidiyorlar; görüşürüz!",
            26,
            20,
        ),
        (
            "Trường đại học Bách khoa Hà Nội tuyển sinh viên mới vào mùa thu.",
            27,
            17,
        ),
        (
            "お誕生日おめでとう。送料は無料で、返品は六十日以内に承ります。",
            31,
            24,
        ),
        ("退货期限为收到货物后六十天，退款将退回原付款卡。", 26, 20),
        (
            "환불은 결제한 카드로 육십 일 이내에 처리됩니다. 안녕하세요!",
            28,
            20,
        ),
        (
            "Возврат товара возможен в течение шестидесяти дней с момента доставки.",
            29,
            17,
        ),
        (
            "Η επιστροφή είναι δυνατή εντός εξήντα ημερών από την παράδοση.",
            56,
            20,
        ),
        (
            "يمكن إرجاع المنتج خلال ستين يوم\u{64b}ا من تاريخ التسليم.",
            37,
            15,
        ),
        ("ניתן להחזיר את המוצר בתוך שישים יום ממועד המסירה.", 45, 17),
        (
            "साठ दिनो\u{902} क\u{947} भीतर उत\u{94d}पाद वापस किया जा सकता ह\u{948}।",
            44,
            12,
        ),
        (
            "สามารถค\u{e37}นส\u{e34}นค\u{e49}าได\u{e49}ภายในหกส\u{e34}บว\u{e31}นหล\u{e31}งจากได\u{e49}ร\u{e31}บส\u{e34}นค\u{e49}า",
            44,
            14,
        ),
        (
            "பொருளை அறுபது ந\u{bbe}ட\u{bcd}களுக\u{bcd}குள\u{bcd} திருப\u{bcd}பி அனுப\u{bcd}பல\u{bbe}ம\u{bcd}.",
            67,
            18,
        ),
        (
            "fn main() {\n    let total: u64 = rows.iter().map(|it| it.count).sum();\n    println!(\"{total}\");\n}\n",
            29,
            29,
        ),
        (
            "{\"id\":\"018f0000-0000-7000-8000-000000000000\",\"amount\":1234567,\"ok\":true,\"tags\":[\"a\",\"b\"]}",
            38,
            39,
        ),
        (
            "| Size | Width |\n|---|---|\n| M | 80 cm |\n\n- one\n- two\n",
            23,
            23,
        ),
        (
            "🦀🎉👩\u{200d}👩\u{200d}👧\u{200d}👦 naïve café — “quoted” … €5",
            34,
            26,
        ),
        (
            "aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQgdGV4dCB0aGF0IGdvZXMgb24=",
            42,
            37,
        ),
        (
            "https://www.example.com/path/to/page.html?query=string&other=1#fragment",
            19,
            19,
        ),
        (
            "IMPORTANT: DO NOT PRESS THE BUTTON UNTIL INSTRUCTED BY THE SUPERVISOR",
            18,
            18,
        ),
    ];

    fn upper(text: &str) -> u64 {
        estimate_tokens(Provider::Openai, "gpt-4o", text).upper()
    }

    #[test]
    fn known_texts_are_no_more_than_is_said_and_not_absurdly_less() {
        let mut wrong = Vec::new();
        for (text, older, newer) in KNOWN {
            let (real, said) = (*older.max(newer), upper(text));
            if said < real || said > 3 * real {
                wrong.push(format!("{said} for {real}: {text}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn english_is_not_estimated_at_much_more_than_it_is() {
        let (text, real, _) = KNOWN[3];
        assert!(upper(text) * 2 <= real * 3, "{} for {real}", upper(text));
    }

    #[test]
    fn no_model_and_no_text_take_none() {
        let none = TokenCount::Exact(0);
        assert_eq!(
            estimate_tokens(Provider::Passages, "passages", "text"),
            none
        );
        assert_eq!(estimate_tokens(Provider::Anthropic, "claude", ""), none);
    }

    proptest! {
        #[test]
        fn no_text_is_more_tokens_than_bytes_or_none_at_all(text in "\\PC{1,200}") {
            let count = upper(&text);
            prop_assert!(count >= 1 && count <= text.len() as u64);
        }

        #[test]
        fn a_longer_text_is_never_estimated_at_less(text in "[a-zA-Zäж東 .0]{0,60}", more in "[a-zA-Zäж東 .0]{0,20}") {
            let both = upper(&(text.clone() + &more));
            prop_assert!(both >= upper(&text));
        }
    }
}
