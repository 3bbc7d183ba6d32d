# SD1, the director of site 1: its own two balancers share a cookie, those of site 2 are their backups and share another.

listen "site" {
  bind ":80" {}

  redispatch = true

  monitor { uri = "/alive" }
  forwardfor { trusted = ["10.1.0.1"] }
  cookie "SITE" {
    mode     = "insert"
    indirect = true
  }
  check "http" {
    request  = "HEAD /alive HTTP/1.0"
    port     = 81
    interval = "4s"
  }

  server "S1L1" "192.168.1.2:80" { cookie = "SITE1" }
  server "S1L2" "192.168.1.3:80" { cookie = "SITE1" }
  server "S2L1" "192.168.2.2:80" {
    cookie = "SITE2"
    backup = true
    check "http" { interval = "8s" }
  }
  server "S2L2" "192.168.2.3:80" {
    cookie = "SITE2"
    backup = true
    check "http" { interval = "8s" }
  }
}
