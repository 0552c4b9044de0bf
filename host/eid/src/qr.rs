//! The animated code: another one each second, so that a photograph of it is worth nothing soon after.

use aws_lc_rs::hmac;

/// What the code says so many whole seconds after the order was started.
pub fn qr_code(start_token: &str, start_secret: &str, seconds: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, start_secret.as_bytes());
    let tag = hmac::sign(&key, seconds.to_string().as_bytes());
    let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("bankid.{start_token}.{seconds}.{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_official_codes_come_out() {
        let token = "67df3917-fa0d-44e5-b327-edcc928297f8";
        let secret = "d28db9a7-4cde-429e-a983-359be676944c";
        for (seconds, hex) in [
            (
                0,
                "dc69358e712458a66a7525beef148ae8526b1c71610eff2c16cdffb4cdac9bf8",
            ),
            (
                1,
                "949d559bf23403952a94d103e67743126381eda00f0b3cbddbf7c96b1adcbce2",
            ),
            (
                2,
                "a9e5ec59cb4eee4ef4117150abc58fad7a85439a6a96ccbecc3668b41795b3f3",
            ),
        ] {
            let code = format!("bankid.{token}.{seconds}.{hex}");
            assert_eq!(qr_code(token, secret, seconds), code);
        }
    }
}
