# The same with a cookie of the application itself, which says what may be cached.

tls "site" { certificate = "site.pem" }

cache "pages" {}

listen "webfarm" {
  bind "192.168.1.1:443" { tls = tls.site }
  cache = cache.pages

  balance = "roundrobin"

  cookie "JSESSIONID" { mode = "prefix" }
  check "http" { request = "HEAD /index.html HTTP/1.0" }

  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" { cookie = "B" }
  server "webC" "192.168.1.13:80" { cookie = "C" }
  server "webD" "192.168.1.14:80" { cookie = "D" }
}
