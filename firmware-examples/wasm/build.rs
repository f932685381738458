//! Puts the model where the compiler finds it.

fn main() -> ser_build_support::Result<()> {
    ser_build_support::model("../../models/emodb-4class/model-int8.ser")
}
