//! Stands in for the product's `extract-document` subcommand, and misbehaves as its first argument
//! says, under the very limits that the real one sets itself.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use stoa_knowledge::{ExtractError, Extracted, Prepared, child_main, serve_request};

fn main() -> ExitCode {
    let how = std::env::args().nth(1).unwrap_or_default();
    if how == "honest" {
        return child_main(io::stdin().lock(), io::stdout().lock());
    }
    serve_request(io::stdin().lock(), io::stdout(), |_, document| {
        misbehave(&how, document)
    })
}

fn misbehave(how: &str, document: &[u8]) -> Result<Prepared, ExtractError> {
    match how {
        "allocate" => allocate(),
        "spin" => spin(),
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        "exit" => std::process::exit(3),
        "abort" => std::process::abort(),
        "panic" => return Ok(said(&panicking(document))),
        "garbage" => {
            let _ = io::stdout().write_all(b"this is { no answer");
        }
        "flood" => flood(&mut io::stdout()),
        "flood-errors" => flood(&mut io::stderr()),
        "write-file" => return Ok(said(&write_file())),
        "open-files" => return Ok(said(&open_files())),
        "environment" => return Ok(said(&environment())),
        _ => return Ok(said("nothing asked")),
    }
    std::process::exit(0)
}

fn said(text: &str) -> Prepared {
    Prepared {
        extracted: Extracted {
            title: None,
            markdown: text.to_owned(),
        },
        passages: Vec::new(),
    }
}

fn allocate() {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(vec![1; 1024 * 1024]);
    }
}

fn spin() {
    let mut turns = 0_u64;
    while std::hint::black_box(turns) < u64::MAX {
        turns = turns.wrapping_add(1) % 1024;
    }
}

fn flood(to: &mut impl Write) {
    while to.write_all(&[b'x'; 64 * 1024]).is_ok() {}
}

/// Panics with the document in the message, as a slip in a parser might.
fn panicking(document: &[u8]) -> String {
    let text = String::from_utf8_lossy(document);
    #[expect(clippy::panic, reason = "the panic is what is tested")]
    {
        panic!("cannot parse {text}")
    }
}

/// Writes to the file that the second argument names, for which the kernel stops it.
fn write_file() -> String {
    let path = std::env::args().nth(2).unwrap_or_default();
    match std::fs::write(path, "text") {
        Ok(()) => "written".to_owned(),
        Err(error) => error.kind().to_string(),
    }
}

fn open_files() -> String {
    let mut held = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        held.push(file);
    }
    held.len().to_string()
}

fn environment() -> String {
    let names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    format!("[{}] in {:?}", names.join(","), std::env::current_dir())
}
