//! What all the measurements share: the run's directory in memory, the files
//! the servers serve, and how large they are.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Made by scripts/bench, taken away by it.
pub(crate) struct Lab {
    dir: PathBuf,
    /// Name of the control groups.
    pub(crate) tag: String,
    /// Where the other servers are unpacked.
    pub(crate) peers: Option<PathBuf>,
    /// Name and password of the throw-away account.
    pub(crate) account: Option<(String, String)>,
    pub(crate) is_root: bool,
    pub(crate) sizes: Sizes,
}

/// How much is moved; the smaller column is `--quick`.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) image: u64,
    pub(crate) text: u64,
    /// By TLS.
    pub(crate) tls: u64,
    /// Files for each of the 8 sessions.
    pub(crate) small_files: usize,
    /// Logins for each of the 16 clients.
    pub(crate) logins: usize,
    /// For each of the 8 clients.
    pub(crate) tls_logins: usize,
    pub(crate) account_logins: usize,
    pub(crate) idle_sessions: usize,
}

impl Sizes {
    pub(crate) const FULL: Sizes = Sizes {
        image: 1 << 30,
        text: 256 << 20,
        tls: 512 << 20,
        small_files: 1500,
        logins: 60,
        tls_logins: 60,
        account_logins: 8,
        idle_sessions: 2000,
    };
    pub(crate) const QUICK: Sizes = Sizes {
        image: 256 << 20,
        text: 64 << 20,
        tls: 128 << 20,
        small_files: 400,
        logins: 20,
        tls_logins: 20,
        account_logins: 2,
        idle_sessions: 300,
    };
}

pub(crate) const ENTRIES: usize = 100_000;
pub(crate) const SMALL: u64 = 4 << 10;
pub(crate) const TEN_MIB: u64 = 10 << 20;
/// Bytes of a line of text in the file, its LF included.
const LINE: usize = 60;

/// ECDSA with P-256, as certificates have it that are made today.
const CERTIFICATE: &str = include_str!("../../tests/data/tls/ecdsa.pem");
const KEY: &str = include_str!("../../tests/data/tls/ecdsa.key");

/// Something to transfer. Made when the first measurement asks for it.
#[derive(Clone, Copy)]
pub(crate) enum Material {
    /// Bytes, `Sizes::image` of them.
    Image,
    /// Bytes, `Sizes::tls` of them.
    Tls,
    /// Lines that end with LF.
    Text,
    /// The same lines with CRLF, as they travel in TYPE A.
    NetworkText,
    Small,
    TenMib,
    /// A directory of `ENTRIES` files.
    Many,
}

impl Lab {
    /// Takes over what scripts/bench prepared and says in the environment.
    pub(crate) fn open(sizes: Sizes) -> io::Result<Lab> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let dir = variable("BENCH_RUN").ok_or_else(|| io::Error::other("start me by scripts/bench"))?;
        let lab = Lab {
            dir: dir.into(),
            tag: variable("BENCH_TAG").unwrap_or_else(|| "ferryd-bench".into()),
            peers: variable("BENCH_PEERS").map(PathBuf::from),
            account: variable("BENCH_ACCOUNT").zip(variable("BENCH_PASSWORD")),
            is_root: rustix::process::geteuid().is_root(),
            sizes,
        };
        for name in ["srv", "srv/up", "empty", "conf"] {
            fs::create_dir(lab.dir.join(name))?;
        }
        // vsftpd refuses an anonymous root that its client may write to.
        fs::set_permissions(lab.uploads(), Permissions::from_mode(0o777))?;
        // ferryd refuses a key that others may read.
        let certificate = lab.certificate();
        fs::write(&certificate, [CERTIFICATE, KEY].concat())?;
        fs::set_permissions(certificate, Permissions::from_mode(0o600))?;
        Ok(lab)
    }

    /// The certificate of all servers, and its key.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.join("conf/tls.pem")
    }

    /// The anonymous clients' root.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.join("srv")
    }

    pub(crate) fn uploads(&self) -> PathBuf {
        self.dir.join("srv/up")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The file, or directory, made now if nobody wanted it before.
    pub(crate) fn material(&self, material: Material) -> io::Result<PathBuf> {
        let path = self.root().join(material.name());
        if path.exists() {
            return Ok(path);
        }
        match material {
            Material::Image => write_bytes(&path, self.sizes.image)?,
            Material::Tls => write_bytes(&path, self.sizes.tls)?,
            Material::Small => write_bytes(&path, SMALL)?,
            Material::TenMib => write_bytes(&path, TEN_MIB)?,
            Material::Text => write_lines(&path, self.sizes.text, b"\n")?,
            Material::NetworkText => write_lines(&path, self.sizes.text, b"\r\n")?,
            Material::Many => write_many(&path)?,
        }
        Ok(path)
    }

    /// Lines of `Text`.
    pub(crate) fn lines(&self) -> u64 {
        self.sizes.text / LINE as u64
    }

    /// Bytes of `Text`: whole lines.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.lines() * LINE as u64
    }
}

impl Material {
    /// The name a client asks for.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Material::Image => "image",
            Material::Tls => "image-tls",
            Material::Text => "text",
            Material::NetworkText => "text-crlf",
            Material::Small => "small",
            Material::TenMib => "ten",
            Material::Many => "many",
        }
    }
}

fn write_bytes(path: &Path, size: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    // Odd in length, so that no two pages are alike.
    let block: Vec<u8> = (0..1_048_573_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut left = size;
    while left > 0 {
        let part = left.min(block.len() as u64);
        file.write_all(&block[..part as usize])?;
        left -= part;
    }
    Ok(())
}

fn write_lines(path: &Path, size: u64, end: &[u8]) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for number in 0..size / LINE as u64 {
        write!(file, "{number:010} ")?;
        file.write_all(&[b'.'; LINE - 12])?;
        file.write_all(end)?;
    }
    file.flush()
}

fn write_many(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    for number in 0..ENTRIES {
        File::create(path.join(format!("file-{number:06}.txt")))?;
    }
    Ok(())
}
