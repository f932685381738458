//! Clip, model and memory map.

fn main() -> ser_build_support::Result<()> {
    ser_build_support::prepare("../../models/emodb-4class-compact/model-int8.ser", 2.0)
}
