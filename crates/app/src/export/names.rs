//! Names of files in the archive. A document's name is data: nothing in it leads anywhere.

/// The most bytes of a name; with its folder it fits into what every reader of tar takes.
const LONGEST: usize = 80;

/// A name that is one step of a path, on any system, made of what the document is called.
pub(super) fn safe(file_name: &str, title: &str, media_type: &str) -> String {
    let whole = match file_name {
        "" => format!("{title}{}", extension(media_type)),
        name => name.to_owned(),
    };
    let clean: String = whole
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_. ".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let clean = clean.trim_matches(['.', ' ', '_']);
    let (stem, extension) = match clean.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 10 => {
            (stem, format!(".{extension}"))
        }
        _ => (clean, String::new()),
    };
    let mut short = String::new();
    for c in stem.chars() {
        if short.len() + c.len_utf8() + extension.len() > LONGEST {
            break;
        }
        short.push(c);
    }
    if short.is_empty() || is_device(&short) {
        return format!("document{extension}");
    }
    short + &extension
}

fn extension(media_type: &str) -> &'static str {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "text/markdown" => ".md",
        "text/html" => ".html",
        "application/pdf" => ".pdf",
        "text/csv" => ".csv",
        kind if kind.starts_with("text/") => ".txt",
        _ => "",
    }
}

/// Names that Windows keeps for devices.
fn is_device(stem: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    let port = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 1 && rest.chars().all(|c| c.is_ascii_digit()))
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || port("com") || port("lpt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_step_and_leads_nowhere() {
        for (name, safe_name) in [
            ("returns.pdf", "returns.pdf"),
            ("../../etc/passwd", "etc_passwd"),
            ("/etc/passwd", "etc_passwd"),
            ("..\\..\\windows\\win.ini", "windows_win.ini"),
            ("a\0b\nc.txt", "a_b_c.txt"),
            (".bashrc", "bashrc"),
            ("Größe und Maß.md", "Größe und Maß.md"),
            ("CON.txt", "document.txt"),
            ("...", "document"),
            ("-rf", "-rf"),
        ] {
            assert_eq!(safe(name, "T", "text/plain"), safe_name, "{name:?}");
        }
        assert_eq!(
            safe("", "How to return?", "text/markdown"),
            "How to return_.md"
        );
        assert_eq!(safe("", "", "application/octet-stream"), "document");
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let long = safe(&format!("{}.pdf", "ü".repeat(200)), "", "");
        assert!(long.len() <= LONGEST && long.ends_with("ü.pdf"), "{long}");
    }
}
