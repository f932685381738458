//! Feature tables as Parquet, column by column: text columns that describe the row, then the features as
//! 32-bit floats. Feature set and extractor version stand in the file's key-value metadata.

mod column;
mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;

const KEY_FEATURE_SET: &str = "ser-edge.feature_set";
const KEY_EXTRACTOR: &str = "ser-edge.extractor_version";
const KEY_HEARING: &str = "ser-edge.hearing";
const KEY_VERSION: &str = "ser-edge.version";
/// The table's own hash: pages have no check sums, and a flipped bit in a number looks like a number.
const KEY_SHA256: &str = "ser-edge.sha256";
