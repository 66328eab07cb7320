//! The names that Stoa reads, and the nearest of them to a mistyped one.

/// Every name of the configuration. A test compares the parser with this list.
pub(super) const KNOWN: &[&str] = &[
    "PLATFORM_DATABASE_URL",
    "PLATFORM_SUPABASE_URL",
    "PLATFORM_SUPABASE_ANON_KEY",
    "PLATFORM_SUPABASE_PUBLISHABLE_KEY",
    "PLATFORM_ISOLATION_ENABLED",
    "MULTI_TENANT_MODE",
    "CLIENT_DATA_ISOLATION_ENABLED",
    "CLIENT_ID",
    "CLIENT_DATABASE_URL",
    "CLIENT_DATABASE_CA",
    "CLIENT_SUPABASE_URL",
    "CLIENT_SUPABASE_ANON_KEY",
    "CLIENT_ADMIN_EMAIL",
    "PUBLIC_URL",
    "CHAT_URL",
    "HOST",
    "PORT",
    "STOA_METRICS_ADDR",
    "STOA_DATA_DIR",
    "STOA_MASTER_KEY",
    "STOA_MANAGED_DATABASE_URL",
    "STOA_REDIS_URL",
    "STOA_ALLOWED_PRIVATE_HOSTS",
    "STOA_TRUSTED_PROXIES",
    "STOA_POSTGRES_DIR",
    "STOA_LOG_FORMAT",
    "SMTP_URL",
    "MAIL_FROM",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "STRIPE_API_BASE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "RUST_LOG",
];

/// The prefixes that are Stoa's alone, under which an unknown name is a mistake.
const OUR_PREFIXES: [&str; 2] = ["STOA_", "PLATFORM_"];

/// Whether Stoa reads this name or owns its prefix.
pub(super) fn is_ours(name: &str) -> bool {
    KNOWN.contains(&name) || has_our_prefix(name)
}

/// Whether the name looks like one of ours and is none.
pub(super) fn is_mistaken(name: &str) -> bool {
    has_our_prefix(name) && !KNOWN.contains(&name)
}

/// The known name that a mistyped one was probably meant to be.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    KNOWN
        .iter()
        .map(|known| (edit_distance(name, known), *known))
        .min()
        .filter(|(distance, _)| *distance <= (name.len() / 4).max(2))
        .map(|(_, known)| known)
}

fn has_our_prefix(name: &str) -> bool {
    OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Levenshtein's distance: insertions, deletions and replacements of one byte each.
fn edit_distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_finds_its_neighbour_and_a_strange_one_none() {
        assert_eq!(nearest("STOA_MASTERKEY"), Some("STOA_MASTER_KEY"));
        assert_eq!(
            nearest("PLATFORM_DATABSE_URL"),
            Some("PLATFORM_DATABASE_URL")
        );
        assert_eq!(nearest("STOA_DATA_DIRECTORY"), None);
        assert_eq!(nearest("STOA_WEATHER_IN_ATHENS"), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
