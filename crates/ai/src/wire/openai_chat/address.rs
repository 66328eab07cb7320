//! Where a call goes.
//!
//! Azure has two forms, both from its reference. The newer is OpenAI's under `/openai/v1`, with the
//! deployment as the model. The older has `?api-version=…` and the deployment in the path:
//! `/openai/deployments/NAME/chat/completions`.

use url::Url;

use super::Dialect;
use crate::provider::join;

/// The address of `path` for `model` under `base`.
pub(super) fn of(dialect: Dialect, base: &Url, model: &str, path: &[&str]) -> Url {
    if !dialect.is_azure() {
        return join(base, path);
    }
    let mut root = join(base, &[]);
    let segments: Vec<String> = match root.path_segments() {
        Some(segments) => segments.map(str::to_owned).collect(),
        None => Vec::new(),
    };
    let before = |name: &str| segments.iter().position(|it| it == name);
    let has_version = root.query_pairs().any(|(name, _)| name == "api-version");
    let is_newer = segments.ends_with(&["openai".to_owned(), "v1".to_owned()]);
    if is_newer || !has_version {
        if !is_newer {
            root.set_path("/openai/v1");
        }
        return join(&root, path);
    }
    // A model of another kind, one that embeds, is another deployment than the one in the path.
    let named = before("deployments").and_then(|it| segments.get(it + 1));
    let deployment = match named {
        Some(named) if path == ["chat", "completions"] => named.clone(),
        _ => model.to_owned(),
    };
    root.set_path("/openai");
    match path {
        ["models"] => join(&root, path),
        _ => join(&join(&root, &["deployments", &deployment]), path),
    }
}

#[cfg(test)]
mod tests {
    use stoa_domain::Provider;

    use super::*;
    use crate::provider::profile;
    use crate::wire::Wire;

    fn azure(base: &str, path: &[&str]) -> String {
        let Some(Wire::OpenaiChat(dialect)) = profile(Provider::AzureOpenai).map(|it| it.wire)
        else {
            panic!("Azure speaks OpenAI's format");
        };
        of(dialect, &Url::parse(base).unwrap(), "m", path).to_string()
    }

    #[test]
    fn both_forms_of_azure_and_what_people_paste_lead_to_the_deployment() {
        let chat = ["chat", "completions"];
        let newer = "https://r.openai.azure.com/openai/v1/chat/completions";
        for base in [
            "https://r.openai.azure.com",
            "https://r.openai.azure.com/",
            "https://r.openai.azure.com/openai",
            "https://r.openai.azure.com/openai/v1/",
            "https://r.openai.azure.com/openai/v1/chat/completions",
        ] {
            assert_eq!(azure(base, &chat), newer, "{base}");
        }
        assert_eq!(
            azure(
                "https://r.openai.azure.com/openai/v1?api-version=preview",
                &chat
            ),
            format!("{newer}?api-version=preview")
        );
        let older = |deployment: &str| {
            format!(
                "https://r.openai.azure.com/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21"
            )
        };
        for (base, deployment) in [
            ("https://r.openai.azure.com?api-version=2024-10-21", "m"),
            (
                "https://r.openai.azure.com/openai?api-version=2024-10-21",
                "m",
            ),
            (&*older("gpt"), "gpt"),
        ] {
            assert_eq!(azure(base, &chat), older(deployment), "{base}");
        }
        assert_eq!(
            azure(&older("gpt"), &["embeddings"]),
            "https://r.openai.azure.com/openai/deployments/m/embeddings?api-version=2024-10-21"
        );
        assert_eq!(
            azure(&older("gpt"), &["models"]),
            "https://r.openai.azure.com/openai/models?api-version=2024-10-21"
        );
    }
}
