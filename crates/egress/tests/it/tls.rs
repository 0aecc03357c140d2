//! Receivers whose certificates are no good.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use roost_egress::{Client, Guard, SendError, Settings, TlsFault};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;

use crate::receiver::{Names, Receiver, get, read_head};

const NAME: &str = "hooks.example";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

async fn receiver(certificate: CertificateDer<'static>, key: &KeyPair) -> Receiver {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Receiver::start("127.0.0.1:0", move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                read_head(&mut stream).await;
                stream.write_all(OK).await.ok();
                stream.shutdown().await.ok();
            }
        }
    })
    .await
}

async fn call(
    receiver: &Receiver,
    root: &CertifiedIssuer<'static, KeyPair>,
) -> Result<u16, SendError> {
    let names = Names::default().with(NAME, &[&["127.0.0.1"]]);
    let guard = Guard::new(["support.roost.example"], ["127.0.0.0/8".parse().unwrap()]).unwrap();
    let settings = Settings {
        extra_roots: vec![root.pem().into_bytes()],
        ..Settings::default()
    };
    let client = Client::with_resolver(guard, &settings, names.into()).unwrap();
    let url = format!("https://{NAME}:{}/", receiver.address.port());
    client.send(get(&url)).await.map(|answer| answer.status)
}

#[tokio::test]
async fn a_certificate_that_is_no_good_is_named_with_its_fault() {
    let root = authority("root");
    let stranger = authority("stranger");
    let good = || CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    let mut expired = good();
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let mut early = good();
    early.not_before = date_time_ymd(2999, 1, 1);
    early.not_after = date_time_ymd(3000, 1, 1);
    let other_name = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
    for (params, issuer, expected) in [
        (good(), &root, None),
        (expired, &root, Some(TlsFault::Expired)),
        (early, &root, Some(TlsFault::NotYetValid)),
        (other_name, &root, Some(TlsFault::NameMismatch)),
        (good(), &stranger, Some(TlsFault::UnknownIssuer)),
    ] {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap();
        let receiver = receiver(certificate.der().clone(), &key).await;
        match (call(&receiver, &root).await, expected) {
            (Ok(status), None) => assert_eq!(status, 200),
            (Err(SendError::Tls(fault)), Some(expected)) => assert_eq!(fault, expected),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }
}

#[tokio::test]
async fn a_certificate_that_signs_itself_has_an_unknown_issuer() {
    let root = authority("root");
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let receiver = receiver(certificate.der().clone(), &key).await;
        let error = call(&receiver, &root).await.unwrap_err();
        assert!(
            matches!(&error, SendError::Tls(TlsFault::UnknownIssuer)),
            "{is_ca:?}: {error:?}"
        );
        assert_eq!(error.code(), "tls_unknown_issuer");
    }
}
