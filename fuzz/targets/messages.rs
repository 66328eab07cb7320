//! What a server says, read along with: the same verdict however the bytes are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stoa_client_db::fuzzing::follow;

fuzz_target!(|bytes: &[u8]| {
    let Some((step, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = follow(bytes, bytes.len().max(1));
    let pieces = follow(bytes, usize::from(*step).max(1));
    assert_eq!(whole, pieces, "in steps of {step}");
});
