//! Which hosts may be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

/// Longest URL that is looked at, bytes.
const LONGEST_URL: usize = 2048;

/// Decides which hosts may be called: those of the public internet, and what an operator allows besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    names: Vec<String>,
    networks: Vec<Network>,
}

/// An entry of the allow-list that is neither a host name nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} must be a host name, an address or a network such as 10.1.0.0/16")]
pub struct GuardError(pub String);

/// Why a URL is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is none, or not one that can be called.
    #[error("{0}")]
    Url(&'static str),
    /// Its host is, or resolves to, an address that is not public.
    #[error(
        "its host is not on the public internet, and this server may not call others (its operator may allow hosts by \
         callbacks.allow)"
    )]
    Address,
}

/// A URL that can be called as far as it tells by itself; its host has yet to be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The URL, without a fragment.
    pub(crate) url: Url,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

/// Addresses with these leading bits. IPv4 networks are kept as the IPv6 networks they map to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    first: u128,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let (first, bits) = match address.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => (mapped(IpAddr::V4(address)), bits.unwrap_or(32).checked_add(96)?),
            IpAddr::V6(address) => (u128::from(address), bits.unwrap_or(128)),
        };
        (bits <= 128).then_some(Network { first, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        let differing = self.first ^ mapped(address);
        self.bits == 0 || differing.leading_zeros() >= self.bits
    }
}

/// An address as IPv6.
fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    }
}

impl Guard {
    /// A guard that lets through the public internet and `allow`: host names, addresses, and networks in CIDR notation.
    pub fn new(allow: &[String]) -> Result<Guard, GuardError> {
        let mut guard = Guard::default();
        for entry in allow {
            let entry = entry.trim();
            if let Some(network) = Network::parse(entry.trim_start_matches('[').trim_end_matches(']')) {
                guard.networks.push(network);
                continue;
            }
            match Host::parse(entry) {
                Ok(Host::Domain(name)) if !entry.contains('/') => guard.names.push(canonical(&name)),
                _ => return Err(GuardError(entry.to_owned())),
            }
        }
        Ok(guard)
    }

    /// Looks at a URL by itself.
    pub fn target(&self, url: &str) -> Result<Target, Refused> {
        if url.len() > LONGEST_URL {
            return Err(Refused::Url("it is longer than 2048 characters"));
        }
        let mut url = Url::parse(url).map_err(|_| Refused::Url("it is not a URL"))?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(Refused::Url("it must begin with http:// or https://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Url("it must not have a user name or a password in it"));
        }
        url.set_fragment(None);
        let port = url.port_or_known_default().ok_or(Refused::Url("it has no port"))?;
        match url.host() {
            None => return Err(Refused::Url("it has no host")),
            Some(Host::Ipv4(address)) => self.check(IpAddr::V4(address))?,
            Some(Host::Ipv6(address)) => self.check(IpAddr::V6(address))?,
            Some(Host::Domain(_)) => {}
        }
        Ok(Target { url, port, tls })
    }

    /// The addresses of a target, resolved now; every one may be called. Connect to one of these and to nothing else.
    pub(crate) async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, ResolveError> {
        let name = match target.url.host() {
            Some(Host::Ipv4(address)) => return Ok(vec![SocketAddr::new(IpAddr::V4(address), target.port)]),
            Some(Host::Ipv6(address)) => return Ok(vec![SocketAddr::new(IpAddr::V6(address), target.port)]),
            Some(Host::Domain(name)) => name,
            None => return Err(ResolveError::Unknown),
        };
        let found = tokio::net::lookup_host((name, target.port)).await.map_err(|_| ResolveError::Unknown)?;
        let found: Vec<SocketAddr> = found.collect();
        self.check_all(name, &found)?;
        match found.is_empty() {
            true => Err(ResolveError::Unknown),
            false => Ok(found),
        }
    }

    /// One address that may not be called spoils all: a name with both kinds is a trick or a mistake.
    fn check_all(&self, name: &str, found: &[SocketAddr]) -> Result<(), Refused> {
        if self.names.contains(&canonical(name)) {
            return Ok(());
        }
        found.iter().try_for_each(|address| self.check(address.ip()))
    }

    fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let address = address.to_canonical();
        match is_public(address) || self.networks.iter().any(|network| network.contains(address)) {
            true => Ok(()),
            false => Err(Refused::Address),
        }
    }
}

/// Why a target has no addresses to call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ResolveError {
    Refused(Refused),
    Unknown,
}

impl From<Refused> for ResolveError {
    fn from(refused: Refused) -> ResolveError {
        ResolveError::Refused(refused)
    }
}

fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether an address is one that anybody on the internet may be reached at, by the special-purpose registries of IANA
/// (RFC 6890 and what followed).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)            // this network, private, loopback
            | (100, 64..=127, _)        // carrier-grade NAT
            | (169, 254, _)             // link-local: metadata services among others
            | (172, 16..=31, _)         // private
            | (192, 0, 0 | 2)           // protocol assignments, documentation
            | (192, 88, 99)             // relays of 6to4
            | (192, 168, _)             // private
            | (198, 18 | 19, _)         // benchmarks
            | (198, 51, 100)            // documentation
            | (203, 0, 113)             // documentation
            | (224..=255, _, _) // multicast, reserved, broadcast
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low), // NAT64
        [0x2002, high, low, ..] => embedded(high, low),               // 6to4
        [0x2001, 0..=0x1ff, ..] => false,                             // protocol assignments, Teredo
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,       // documentation
        [first, ..] => first & 0xe000 == 0x2000,                      // global unicast and nothing else
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn guard(allow: &[&str]) -> Guard {
        Guard::new(&allow.iter().map(|&entry| entry.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn refused(url: &str) -> bool {
        guard(&[]).target(url) == Err(Refused::Address)
    }

    #[test]
    fn addresses_that_only_the_server_reaches_are_refused() {
        for host in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:10.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[2002:a9fe:a9fe::1]",
            "[2001::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[ff02::1]",
            // Other ways to write 127.0.0.1
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.1",
        ] {
            assert!(refused(&format!("http://{host}/")), "{host}");
            assert!(refused(&format!("https://{host}:8443/x?y=z")), "{host}");
        }
        for host in
            ["8.8.8.8", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "[64:ff9b::808:808]", "[::ffff:8.8.8.8]"]
        {
            assert!(guard(&[]).target(&format!("http://{host}/")).is_ok(), "{host}");
        }
    }

    #[test]
    fn an_operator_may_allow_more() {
        let guard = guard(&["127.0.0.1", "10.1.0.0/16", "fd00::/8", "[::1]", "Hooks.Internal"]);
        for fine in [
            "http://127.0.0.1:99/",
            "http://10.1.255.1/",
            "http://[fd12::1]/",
            "http://[::1]/",
            "http://[::ffff:10.1.0.1]/",
        ] {
            assert!(guard.target(fine).is_ok(), "{fine}");
        }
        for not in ["http://127.0.0.2/", "http://10.2.0.1/", "http://[fe80::1]/"] {
            assert_eq!(guard.target(not), Err(Refused::Address), "{not}");
        }
        let private: SocketAddr = "192.168.0.9:80".parse().unwrap();
        assert_eq!(guard.check_all("hooks.internal.", &[private]), Ok(()));
        assert_eq!(guard.check_all("other.internal", &[private]), Err(Refused::Address));
    }

    #[test]
    fn one_private_address_spoils_a_name() {
        let (public, private) = ("8.8.8.8:80".parse().unwrap(), "10.0.0.1:80".parse().unwrap());
        assert_eq!(guard(&[]).check_all("example.com", &[public]), Ok(()));
        assert_eq!(guard(&[]).check_all("example.com", &[public, private]), Err(Refused::Address));
    }

    #[test]
    fn what_is_no_url_to_call() {
        for url in [
            "",
            "hooks",
            "ftp://example.com/",
            "file:///etc/passwd",
            "http://",
            "http://a:b@example.com/",
            "gopher://x",
        ] {
            assert!(matches!(guard(&[]).target(url), Err(Refused::Url(_))), "{url}");
        }
        assert!(matches!(guard(&[]).target(&format!("http://example.com/{}", "x".repeat(2048))), Err(Refused::Url(_))));
        let target = guard(&[]).target("https://example.com/a?b=c#d").unwrap();
        assert_eq!((target.url.as_str(), target.port, target.tls), ("https://example.com/a?b=c", 443, true));
    }

    #[test]
    fn entries_that_are_none() {
        for entry in ["", "10.0.0.0/33", "a b", "http://example.com", "example.com/8", "::1/200"] {
            assert!(Guard::new(&[entry.to_owned()]).is_err(), "{entry}");
        }
    }

    #[tokio::test]
    async fn names_of_this_machine_are_refused_when_they_are_resolved() {
        let target = guard(&[]).target("http://localhost:1/").unwrap();
        assert_eq!(guard(&[]).resolve(&target).await, Err(ResolveError::Refused(Refused::Address)));
        assert!(guard(&["localhost"]).resolve(&target).await.unwrap().iter().all(|found| found.ip().is_loopback()));
    }

    proptest! {
        /// However an IPv4 address is wrapped, what is said of it is the same.
        #[test]
        fn wrapping_does_not_help(address: u32) {
            let plain = Ipv4Addr::from(address);
            let [high, low] = [(address >> 16) as u16, address as u16];
            let public = is_public_v4(plain);
            prop_assert_eq!(is_public(IpAddr::V6(plain.to_ipv6_mapped()).to_canonical()), public);
            prop_assert_eq!(is_public_v6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)), public);
            prop_assert_eq!(is_public_v6(Ipv6Addr::new(0x2002, high, low, 1, 2, 3, 4, 5)), public);
            prop_assert!(!is_public_v6(Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low)));
        }

        #[test]
        fn networks_contain_what_shares_their_bits(first: u32, other: u32, bits in 0..=32_u32) {
            let network = Network::parse(&format!("{}/{bits}", Ipv4Addr::from(first))).unwrap();
            let shares = bits == 0 || (first ^ other) >> (32 - bits) == 0;
            prop_assert_eq!(network.contains(IpAddr::V4(Ipv4Addr::from(other))), shares);
        }

        #[test]
        fn no_text_is_too_odd(text in ".{0,80}") {
            let _ = Guard::default().target(&text);
            let _ = Guard::new(&[text]);
        }
    }
}
