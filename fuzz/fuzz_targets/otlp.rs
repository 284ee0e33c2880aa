#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| citywatch_fuzz::targets::run("otlp", data));
