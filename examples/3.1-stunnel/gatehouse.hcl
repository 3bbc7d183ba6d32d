# Both ports in one process. A stunnel on this machine may go on feeding port 80 while it is being replaced: what comes
# from there carries the client's address already.

tls "site" { certificate = "/etc/stunnel/stunnel.pem" }

listen "webfarm" {
  bind "192.168.1.1:443" { tls = tls.site }
  bind "192.168.1.1:80" {}

  balance = "roundrobin"

  forwardfor { except = ["192.168.1.1"] }
  cookie "SERVERID" {
    mode     = "insert"
    indirect = true
    nocache  = true
  }
  check "http" { request = "HEAD /index.html HTTP/1.0" }

  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" { cookie = "B" }
  server "webC" "192.168.1.13:80" { cookie = "C" }
  server "webD" "192.168.1.14:80" { cookie = "D" }
}
