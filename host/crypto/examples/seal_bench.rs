//! What sealing one value costs: `name value unit` lines, beside the bare cipher in the same run.

#![allow(clippy::unwrap_used, reason = "a benchmark fails fast")]

use std::hint::black_box;
use std::time::Instant;

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use vaxel_core::TenantId;
use vaxel_crypto::{ErasureKey, Keyring, MasterKey, Purpose};

const ROUNDS: usize = 15;
const CALLS: u32 = 20_000;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path(), MasterKey::generate()).unwrap();
    let tenant = TenantId::from_u128(1);
    ring.create_tenant(tenant).unwrap();
    let aad: [&[u8]; 3] = [&[1; 25], &[2; 33], &[3; 9]];
    let bare = XChaCha20Poly1305::new(&[7; 32].into());
    for (name, len) in [("300B", 300), ("1KiB", 1_024)] {
        let plain = vec![42_u8; len];
        let mut out = Vec::with_capacity(len + 128);
        let floor = best(|| {
            out.clear();
            out.extend_from_slice(&plain);
            let nonce = XNonce::from([9; 24]);
            let tag = bare.encrypt_inout_detached(&nonce, &[0; 67], out.as_mut_slice().into());
            black_box(tag.unwrap());
        });
        let seal = best(|| {
            out.clear();
            ring.seal_into(
                tenant,
                ErasureKey::TENANT,
                Purpose::Values,
                &aad,
                &plain,
                &mut out,
            )
            .unwrap();
            black_box(&out);
        });
        let sealed = ring
            .seal(tenant, ErasureKey::TENANT, Purpose::Values, &aad, &plain)
            .unwrap();
        let open = best(|| {
            black_box(
                ring.open_sealed(tenant, Purpose::Values, &aad, &sealed)
                    .unwrap(),
            );
        });
        println!("seal_{name}_floor {floor:.0} ns");
        println!("seal_{name} {seal:.0} ns");
        println!("seal_{name}_ratio {:.2} x", seal / floor);
        println!("open_{name} {open:.0} ns");
    }
}

/// The fastest of several rounds, in nanoseconds a call: what others do on the machine only adds.
fn best(mut call: impl FnMut()) -> f64 {
    let round = |call: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    (0..ROUNDS)
        .map(|_| round(&mut call))
        .fold(f64::INFINITY, f64::min)
}
