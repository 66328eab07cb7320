//! What is said around passages that are quoted instead of an answer, in the languages of the chat.

/// The sentences of one language.
pub(crate) struct Words {
    /// Before the quotations.
    pub(crate) introduction: &'static str,
    /// After them, where there is no model to ask.
    pub(crate) no_model: &'static str,
    /// After them, where every model that there is has failed.
    pub(crate) models_failed: &'static str,
}

const ENGLISH: Words = Words {
    introduction: "This is what our documents say:",
    no_model: "No AI model is configured yet, so only the documents are quoted.",
    models_failed: "The assistant cannot write an answer at the moment, so only the documents are quoted.",
};

const GERMAN: Words = Words {
    introduction: "Das steht in unseren Dokumenten:",
    no_model: "Noch ist kein KI-Modell eingerichtet, daher wird nur aus den Dokumenten zitiert.",
    models_failed: "Der Assistent kann gerade keine Antwort schreiben, daher wird nur aus den Dokumenten zitiert.",
};

const ARABIC: Words = Words {
    introduction: "هذا ما تقوله مستنداتنا:",
    no_model: "لم يُضبط أي نموذج ذكاء اصطناعي بعد، لذلك يُقتبس من المستندات فقط.",
    models_failed: "لا يستطيع المساعد كتابة إجابة في الوقت الحالي، لذلك يُقتبس من المستندات فقط.",
};

/// The sentences for a language tag such as `de-AT`; English ones for what is not known here.
pub(crate) fn words(language: &str) -> &'static Words {
    let primary = language.split(['-', '_']).next().unwrap_or_default();
    match primary.to_ascii_lowercase().as_str() {
        "de" => &GERMAN,
        "ar" => &ARABIC,
        _ => &ENGLISH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_share_their_language_and_the_unknown_is_english() {
        for (tag, words_of) in [
            ("de-AT", &GERMAN),
            ("AR", &ARABIC),
            ("fr", &ENGLISH),
            ("", &ENGLISH),
        ] {
            assert_eq!(words(tag).introduction, words_of.introduction, "{tag}");
        }
    }
}
