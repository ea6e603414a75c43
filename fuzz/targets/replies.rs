#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| octavo::fuzzing::replies(input));
