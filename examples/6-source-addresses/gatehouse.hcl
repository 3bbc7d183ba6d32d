# One server, reached from eight addresses in turn: a firewall on the way spreads its load by source addresses.

log "access" {}

listen "balanced-sources" {
  mode = "tcp"
  bind ":80" {}

  balance = "roundrobin"
  log     = log.access

  check "tcp" {}

  server "from1to1" "10.1.1.1:80" { source = "10.1.2.1" }
  server "from2to1" "10.1.1.1:80" { source = "10.1.2.2" }
  server "from3to1" "10.1.1.1:80" { source = "10.1.2.3" }
  server "from4to1" "10.1.1.1:80" { source = "10.1.2.4" }
  server "from5to1" "10.1.1.1:80" { source = "10.1.2.5" }
  server "from6to1" "10.1.1.1:80" { source = "10.1.2.6" }
  server "from7to1" "10.1.1.1:80" { source = "10.1.2.7" }
  server "from8to1" "10.1.1.1:80" { source = "10.1.2.8" }
}
