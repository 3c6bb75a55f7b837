//! Ports as arguments.

use manoward::policy::{ServiceMatch, Transport, catalogue::find};

/// Reads a port. Who writes the name of a service is told its ports.
pub fn parse_port(text: &str) -> Result<u16, String> {
    if let Ok(port) = text.parse() {
        return Ok(port);
    }
    let Some(entry) = find(text) else {
        return Err("write a number from 0 to 65535".to_owned());
    };
    let ports = entry.matches.iter().filter_map(|matched| match matched {
        ServiceMatch::Ports {
            transport: Transport::Tcp,
            first,
            ..
        } => Some(format!("--port {first}")),
        ServiceMatch::Ports {
            transport, first, ..
        } => Some(format!("--protocol {transport} --port {first}")),
        ServiceMatch::Protocol(_) | ServiceMatch::Icmp { .. } => None,
    });
    let ports: Vec<String> = ports.collect();
    if ports.is_empty() {
        return Err(format!("the service {text} has no ports"));
    }
    Err(format!(
        "for the service {text}, write {}",
        ports.join(" or ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_by_its_ports() {
        assert_eq!(parse_port("22"), Ok(22));
        let told = |text| parse_port(text).unwrap_err();
        assert_eq!(told("ssh"), "for the service ssh, write --port 22");
        assert_eq!(
            told("ntp"),
            "for the service ntp, write --protocol udp --port 123"
        );
        assert_eq!(told("ping"), "the service ping has no ports");
        for wrong in ["", "65536", "-1", "sssh"] {
            assert_eq!(told(wrong), "write a number from 0 to 65535", "{wrong}");
        }
    }
}
