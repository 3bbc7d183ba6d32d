# Syslog over TLS to a remote site, and to another one while the first is dead. A firewall on the way accepts connections for a
# dead server; a TLS hello it cannot answer.

log "access" {}

listen "tcp-syslog-proxy" {
  mode = "tcp"
  bind ":1514" {}

  balance = "roundrobin"
  log     = log.access

  check "tls" {}

  server "syslog-prod-site" "192.168.1.10" {}
  server "syslog-back-site" "192.168.2.10" { backup = true }
}
