# OP1, the proxy of an office: site 1 is preferred. Who was sent to site 2 once has a cookie that says so, and goes there directly.

log "access" {}

listen "office" {
  bind ":80" {}

  redispatch = true
  log        = log.access

  cookie "SITE" { mode = "passive" }
  check "http" { request = "HEAD /alive HTTP/1.0" }

  server "SD1" "192.168.1.1:80" {
    cookie = "SITE1"
    check "http" { interval = "30s" }
  }
  server "SD2" "192.168.2.1:80" {
    cookie = "SITE2"
    backup = true
    check "http" { interval = "60s" }
  }
}
