//! An exported archive, opened.

use std::io::Read as _;

use serde_json::Value;

/// An archive's entries, in order.
pub(super) struct Archive(Vec<(String, Vec<u8>)>);

impl Archive {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (path, content)
        });
        Self(entries.collect())
    }

    pub(super) fn get(&self, path: &str) -> &[u8] {
        let found = self.0.iter().find(|(name, _)| name == path);
        &found
            .unwrap_or_else(|| panic!("{path} in {:?}", self.paths()))
            .1
    }

    pub(super) fn paths(&self) -> Vec<&str> {
        self.0.iter().map(|(path, _)| path.as_str()).collect()
    }

    pub(super) fn lines(&self, table: &str) -> Vec<Value> {
        let content = self.get(&format!("ndjson/{table}.ndjson"));
        let text = std::str::from_utf8(content).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(super) fn manifest(&self) -> Value {
        serde_json::from_slice(self.get("manifest.json")).unwrap()
    }

    /// What is in all of its files, one after the other.
    pub(super) fn whole(&self) -> Vec<u8> {
        let contents = self.0.iter().map(|(_, content)| content.as_slice());
        contents.collect::<Vec<_>>().concat()
    }
}
