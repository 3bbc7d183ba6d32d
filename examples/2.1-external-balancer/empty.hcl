# The external balancer checks by TCP alone, from addresses nobody wrote down, and each of its checks is logged.

log "access" {
  format = "httplog"
  empty  = true
}

listen "webfarm" {
  bind ":80" {}

  balance = "roundrobin"
  log     = log.access

  cookie "JSESSIONID" { mode = "prefix" }
  check "http" { request = "HEAD /index.html HTTP/1.0" }

  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" { cookie = "B" }
  server "webC" "192.168.1.13:80" { cookie = "C" }
  server "webD" "192.168.1.14:80" { cookie = "D" }
}
