//! What consoles and documents leave to be filled in, and people leave as it is.

/// Whether it is what stands for a password, as in `[YOUR-PASSWORD]`.
pub(super) fn is_placeholder_password(password: &str) -> bool {
    let inner = password.trim_matches(|c| matches!(c, '[' | ']' | '<' | '>' | '{' | '}'));
    let word = inner.to_ascii_lowercase().replace(['_', ' '], "-");
    let is_bracketed = inner.len() < password.len();
    let is_masked = password.len() >= 4 && password.chars().all(|c| matches!(c, '*' | '•'));
    is_masked
        || matches!(
            word.as_str(),
            "your-password" | "your-db-password" | "put-a-long-random-password-here"
        )
        || (is_bracketed && matches!(word.as_str(), "password" | "db-password" | "yourpassword"))
}

/// Whether a host has a part to be filled in, as in `aws-0-[REGION].pooler.supabase.com`.
pub(super) fn is_placeholder_host(host: &str) -> bool {
    let small = host.to_ascii_lowercase();
    has_brackets(host)
        || small.ends_with("-region.pooler.supabase.com")
        || small.starts_with("db.project-ref.")
        || small.starts_with("db.your-project-ref.")
}

/// Whether a user or a database has a part to be filled in, as in `postgres.[YOUR-PROJECT-REF]`.
pub(super) fn is_placeholder_name(name: &str) -> bool {
    let small = name.to_ascii_lowercase();
    has_brackets(name) || small.ends_with(".project-ref") || small.ends_with(".your-project-ref")
}

/// Whether words stand in brackets.
fn has_brackets(text: &str) -> bool {
    let is_words = |inner: &str| {
        inner.len() > 2
            && inner
                .bytes()
                .all(|it| it.is_ascii_alphabetic() || matches!(it, b'-' | b'_'))
    };
    [('[', ']'), ('<', '>'), ('{', '}')]
        .into_iter()
        .any(|(opening, closing)| {
            text.split_once(opening)
                .and_then(|(_, rest)| rest.split_once(closing))
                .is_some_and(|(inner, _)| is_words(inner))
        })
}
