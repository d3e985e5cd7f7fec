//! Certificates of one run: an authority of its own, one certificate for all members.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Files of the run's certificates.
#[derive(Clone, Debug)]
pub(super) struct MemberFiles {
    pub(super) ca: PathBuf,
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    pub(super) ca_pem: String,
}

/// Makes an authority and a certificate for `localhost`, `127.0.0.1` and these addresses, good for server and client
/// use (peers are both), and writes them to `dir`.
pub(super) fn make(dir: &Path, addresses: &[String]) -> anyhow::Result<MemberFiles> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "gauntlet run authority");
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?;
    let issuer = Issuer::from_params(&authority, &authority_key);

    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    names.extend_from_slice(addresses);
    let mut member = CertificateParams::new(names)?;
    member
        .distinguished_name
        .push(DnType::CommonName, "gauntlet member");
    member.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let member_key = KeyPair::generate()?;
    let cert = member.signed_by(&member_key, &issuer)?;

    let write = |name: &str, text: &str| -> anyhow::Result<PathBuf> {
        let path = dir.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    Ok(MemberFiles {
        ca: write("ca.pem", &ca.pem())?,
        cert: write("member.pem", &cert.pem())?,
        key: write("member-key.pem", &member_key.serialize_pem())?,
        ca_pem: ca.pem(),
    })
}
