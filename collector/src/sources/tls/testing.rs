//! Certificates of an authority made for one test, and a sender that trusts it.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::ListenTls;

/// An authority with a certificate for the agent and one for a sender, as files.
pub(crate) struct Authority {
    dir: PathBuf,
}

/// Whether a sender shows its certificate.
#[derive(Clone, Copy)]
pub(crate) enum Shows {
    Certificate,
    Nothing,
}

impl Authority {
    pub(crate) fn make(dir: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
        for name in ["agent", "sender"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(names.to_vec()).unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            fs::write(dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
            fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        Self::in_dir(dir)
    }

    /// One that was made there before.
    pub(crate) fn in_dir(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    pub(crate) fn listen(&self) -> ListenTls {
        ListenTls {
            certificate: self.dir.join("agent.pem"),
            key: self.dir.join("agent.key"),
            client_ca: None,
        }
    }

    /// Senders must show a certificate of the authority.
    pub(crate) fn listen_to_own(&self) -> ListenTls {
        ListenTls {
            client_ca: Some(self.dir.join("ca.pem")),
            ..self.listen()
        }
    }

    pub(crate) fn connect(
        &self,
        address: &str,
        shows: Shows,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(self.dir.join("ca.pem")).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shows {
            Shows::Nothing => builder.with_no_client_auth(),
            Shows::Certificate => {
                let certificate = CertificateDer::from_pem_file(self.dir.join("sender.pem"));
                let key = PrivateKeyDer::from_pem_file(self.dir.join("sender.key"));
                builder
                    .with_client_auth_cert(vec![certificate.unwrap()], key.unwrap())
                    .unwrap()
            }
        };
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(client, TcpStream::connect(address).unwrap())
    }
}
