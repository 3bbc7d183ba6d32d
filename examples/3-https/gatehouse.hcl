# The same farm behind HTTPS. TLS and the cache, which took an Apache with mod_ssl in front, are in the balancer itself.

tls "site" { certificate = "site.pem" } # chain and key in one file

cache "pages" { memory = "256MiB" } # what servers let everybody have, and nothing that was made for one client

listen "webfarm" {
  bind "192.168.1.1:443" { tls = tls.site }
  cache = cache.pages

  balance = "roundrobin"

  cookie "SERVERID" {
    mode     = "insert"
    indirect = true
    nocache  = true # no cache, ours or in front of us, may keep an answer that carries the cookie
  }
  check "http" { request = "HEAD /index.html HTTP/1.0" }

  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" { cookie = "B" }
  server "webC" "192.168.1.13:80" { cookie = "C" }
  server "webD" "192.168.1.14:80" { cookie = "D" }
}
