//! What the fuzz targets reach of this crate's inside. Built by nothing else.

/// Reads along with `bytes` in steps of `step`: whether the client was let in, or what was wrong.
pub fn follow(bytes: &[u8], step: usize) -> Result<bool, String> {
    crate::wire::follow(bytes, step).map_err(|violation| violation.to_string())
}
