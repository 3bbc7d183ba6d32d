# Three protocols at once, relayed as they are: TSE, ICA and VNC. The supervisors in front learn that we are here, and the server never
# hears of them.

log "access" {}

listen "tse-proxy" {
  mode = "tcp"
  bind ":3389" {}
  bind ":1494" {}
  bind ":5900" {}

  balance = "roundrobin"
  log     = log.access

  monitor { sources = ["192.168.1.252/31"] }

  server "tse-farm" "192.168.1.10" {}
}
