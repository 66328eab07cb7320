//! What is in the archive, in order: a page to read first, the rows, the files, the SQL, and last the
//! manifest, without which an archive is not whole.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stoa_client_db::CopyOut;
use stoa_client_db::export::{Original, Snapshot, Table, line, unescaped};
use stoa_platform_db::instances::Instance;

use super::archive::{Archive, Spool};
use super::{ExportError, names, sql};

const README: &str = include_str!("README.txt");

/// Writes everything but the manifest.
pub(super) async fn write(
    snapshot: &Snapshot<'_>,
    tables: &[Table],
    archive: &mut Archive,
) -> Result<(), ExportError> {
    archive.add("README.txt", README.into()).await?;
    for table in tables {
        let mut spool = Spool::new()?;
        let mut objects = snapshot.objects(table).await?;
        let mut count = 0_u64;
        while let Some(row) = objects.next().await? {
            spool.write(&unescaped(line(&row)?)).await?;
            spool.write(b"\n").await?;
            count += 1;
        }
        archive.count_rows(&table.name, count);
        let path = format!("ndjson/{}.ndjson", table.name);
        archive.add_spooled(&path, spool).await?;
    }
    let mut originals = snapshot.originals().await?;
    while let Some(row) = originals.next().await? {
        let Original {
            id,
            file_name,
            title,
            media_type,
            content,
        } = Original::read(&row)?;
        drop(row);
        let name = names::safe(&file_name, &title, &media_type);
        archive.add(&format!("files/{id}/{name}"), content).await?;
    }
    drop(originals);
    archive
        .add("sql/schema.sql", sql::schema(tables).into())
        .await?;
    let mut spool = Spool::new()?;
    spool.write(sql::BEFORE_DATA.as_bytes()).await?;
    for table in tables {
        spool.write(sql::begin_rows(table).as_bytes()).await?;
        copy_rows(snapshot.rows(table).await?, &mut spool).await?;
        spool.write(sql::END_ROWS.as_bytes()).await?;
    }
    spool.write(sql::after_data(tables).as_bytes()).await?;
    archive.add_spooled("sql/data.sql", spool).await
}

async fn copy_rows(mut rows: CopyOut<'_>, spool: &mut Spool) -> Result<(), ExportError> {
    while let Some(row) = rows.next().await? {
        spool.write(line(&row)?).await?;
        spool.write(b"\n").await?;
    }
    Ok(())
}

/// What the archive says of itself.
pub(super) struct Manifest<'a> {
    pub(super) instance: &'a Instance,
    pub(super) schema_version: i32,
    pub(super) exported_at: DateTime<Utc>,
    pub(super) tables: &'a [Table],
}

impl Manifest<'_> {
    /// Writes it, as the last entry.
    pub(super) async fn write(self, archive: &mut Archive) -> Result<(), ExportError> {
        let manifest = self.as_json(archive);
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| ExportError::Entry(error.into()))?;
        archive.add("manifest.json", text).await
    }

    fn as_json(&self, archive: &Archive) -> Value {
        let Instance {
            id,
            slug,
            name,
            plan,
            region,
            created_at,
            ..
        } = self.instance;
        let left_out: Vec<Value> = self
            .tables
            .iter()
            .filter(|table| !table.left_out.is_empty())
            .map(|table| json!({ "table": table.name, "columns": table.left_out }))
            .collect();
        json!({
            "format": "stoa-export",
            "format_version": 1,
            "exported_at": self.exported_at,
            "instance": {
                "id": id,
                "slug": slug.as_str(),
                "name": name.as_str(),
                "plan": plan,
                "region": region,
                "created_at": created_at,
            },
            "schema_version": self.schema_version,
            "tables": archive.rows(),
            "documents_with_files": archive.entries().iter().filter(|it| it.path.starts_with("files/")).count(),
            "left_out": {
                "why": "Secrets open nowhere but in the deployment that sealed them, and hashes of tokens and keys are of no use to anybody else.",
                "columns": left_out,
                "tables": ["idempotency_keys"],
            },
            "files": archive.entries(),
        })
    }
}
