//! In the words of kea-dhcp4, <https://kea.readthedocs.io/en/latest/arm/dhcp4-srv.html>.

use serde_json::{Value, json};

use super::{BIOS, Dhcp, Host, Subnet, UEFI, list};

/// A whole configuration file.
pub fn write(dhcp: &Dhcp) -> String {
    let is = |number: &u16| format!("option[93].hex == 0x{number:04x}");
    let uefi = UEFI.iter().map(is).collect::<Vec<_>>().join(" or ");
    let mut classes = vec![
        json!({
            "name": "ipxe",
            "test": "option[175].exists or substring(option[77].hex, 0, 4) == 'iPXE'",
            "boot-file-name": dhcp.script,
        }),
        json!({
            "name": "bios",
            "test": format!("not member('ipxe') and {}", is(&BIOS)),
            "boot-file-name": dhcp.loaders.bios,
        }),
        json!({
            "name": "uefi",
            "test": format!("not member('ipxe') and ({uefi})"),
            "boot-file-name": dhcp.loaders.uefi,
        }),
    ];
    if let Some(tftp) = dhcp.loaders.tftp {
        for class in classes.iter_mut().filter_map(Value::as_object_mut) {
            class.insert("next-server".to_owned(), json!(tftp));
        }
    }
    let subnets: Vec<Value> =
        dhcp.subnets.iter().map(|(name, subnet)| subnet4(name, subnet, &dhcp.hosts)).collect();
    let document = json!({
        "Dhcp4": {
            "interfaces-config": { "interfaces": ["*"] },
            "lease-database": { "type": "memfile" },
            "valid-lifetime": 43200,
            "host-reservation-identifiers": ["hw-address"],
            "client-classes": classes,
            "subnet4": subnets,
        }
    });
    // Values like these are always text.
    format!("{}{document:#}\n", dhcp.head("//"))
}

fn subnet4(name: &str, subnet: &Subnet, hosts: &[Host]) -> Value {
    let mut options = Vec::new();
    let mut option = |name: &str, data: String| options.push(json!({ "name": name, "data": data }));
    if let Some(router) = subnet.router {
        option("routers", router.to_string());
    }
    if !subnet.dns.is_empty() {
        option("domain-name-servers", list(&subnet.dns, ", "));
    }
    if let Some(mtu) = subnet.mtu {
        option("interface-mtu", mtu.to_string());
    }
    let pools: Vec<Value> =
        subnet.pool.iter().map(|(first, last)| json!({ "pool": format!("{first} - {last}") })).collect();
    let reservations: Vec<Value> = hosts
        .iter()
        .filter_map(|host| {
            let mut reservation = json!({ "hw-address": host.mac, "hostname": host.name });
            if let (Some(address), Some(members)) = (*host.addresses.get(name)?, reservation.as_object_mut())
            {
                members.insert("ip-address".to_owned(), json!(address));
            }
            Some(reservation)
        })
        .collect();
    json!({
        // Leases are kept by it: it must stay the same when other networks come and go.
        "id": subnet.address.network().to_bits(),
        "subnet": subnet.address.to_string(),
        "user-context": { "network": name },
        "pools": pools,
        "option-data": options,
        "reservations": reservations,
    })
}
