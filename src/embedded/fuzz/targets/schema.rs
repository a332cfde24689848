//! See `curtain_embedded::apiserver::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    curtain_embedded::apiserver::fuzz::call("schema", data);
});
