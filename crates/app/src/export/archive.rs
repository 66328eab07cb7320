//! A tar that is sent while it is written, with the hash of each entry.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};
use tokio::sync::mpsc;

use super::ExportError;

/// How long whoever reads may take for a piece.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is sent at once.
const PIECE: usize = 64 * 1024;
const BLOCK: usize = 512;

/// The archive so far.
pub(super) struct Archive {
    to: mpsc::Sender<Bytes>,
    time: u64,
    entries: Vec<Entry>,
    rows: BTreeMap<String, u64>,
}

/// An entry as the manifest lists it.
#[derive(Serialize)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// What is to be an entry, on this machine's disk until its length is known. The file has no name and
/// is gone with the process.
pub(super) struct Spool {
    file: BufWriter<File>,
    length: u64,
}

impl Archive {
    pub(super) fn new(to: mpsc::Sender<Bytes>, now: DateTime<Utc>) -> Self {
        Self {
            to,
            time: u64::try_from(now.timestamp()).unwrap_or_default(),
            entries: Vec::new(),
            rows: BTreeMap::new(),
        }
    }

    /// What is in it.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Notes how many rows of a table are in it.
    pub(super) fn count_rows(&mut self, table: &str, count: u64) {
        self.rows.insert(table.to_owned(), count);
    }

    /// How many rows of which table are in it.
    pub(super) fn rows(&self) -> &BTreeMap<String, u64> {
        &self.rows
    }

    /// Adds an entry that is at hand.
    pub(super) async fn add(&mut self, path: &str, content: Vec<u8>) -> Result<(), ExportError> {
        let content = Bytes::from(content);
        let length = as_u64(content.len());
        self.begin(path, length).await?;
        for start in (0..content.len()).step_by(PIECE) {
            let end = content.len().min(start + PIECE);
            self.send(content.slice(start..end)).await?;
        }
        self.finish(path, length, &Sha256::digest(&content)).await
    }

    /// Adds an entry from the disk.
    pub(super) async fn add_spooled(
        &mut self,
        path: &str,
        spool: Spool,
    ) -> Result<(), ExportError> {
        let length = spool.length;
        let mut file = spool.into_reader().await.map_err(ExportError::Disk)?;
        self.begin(path, length).await?;
        let mut hash = Sha256::new();
        let mut left = length;
        while left > 0 {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece).await.map_err(ExportError::Disk)?;
            if read == 0 {
                return Err(ExportError::Disk(std::io::ErrorKind::UnexpectedEof.into()));
            }
            piece.truncate(read);
            hash.update(&piece);
            left = left.saturating_sub(as_u64(read));
            self.send(piece.into()).await?;
        }
        self.finish(path, length, &hash.finalize()).await
    }

    /// Ends the archive.
    pub(super) async fn end(self) -> Result<(), ExportError> {
        self.send(Bytes::from_static(&[0; 2 * BLOCK])).await
    }

    async fn begin(&self, path: &str, length: u64) -> Result<(), ExportError> {
        let mut header = tar::Header::new_ustar();
        header.set_path(path).map_err(ExportError::Entry)?;
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(length);
        header.set_mode(0o644);
        header.set_mtime(self.time);
        header.set_cksum();
        self.send(Bytes::copy_from_slice(header.as_bytes())).await
    }

    /// Fills the last block, and lists the entry.
    async fn finish(&mut self, path: &str, length: u64, hash: &[u8]) -> Result<(), ExportError> {
        let over = usize::try_from(length % as_u64(BLOCK)).unwrap_or_default();
        if over > 0 {
            self.send(Bytes::from(vec![0; BLOCK - over])).await?;
        }
        self.entries.push(Entry {
            path: path.to_owned(),
            bytes: length,
            sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        });
        Ok(())
    }

    async fn send(&self, piece: Bytes) -> Result<(), ExportError> {
        match tokio::time::timeout(PATIENCE, self.to.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(ExportError::Unread),
        }
    }
}

impl Spool {
    pub(super) fn new() -> Result<Self, ExportError> {
        let file = tempfile::tempfile().map_err(ExportError::Disk)?;
        Ok(Self {
            file: BufWriter::with_capacity(PIECE, File::from_std(file)),
            length: 0,
        })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.length += as_u64(bytes.len());
        self.file.write_all(bytes).await.map_err(ExportError::Disk)
    }

    async fn into_reader(mut self) -> std::io::Result<File> {
        self.file.flush().await?;
        let mut file = self.file.into_inner();
        file.seek(SeekFrom::Start(0)).await?;
        Ok(file)
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
