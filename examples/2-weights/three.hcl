# Three servers whose weights have 4 as common divisor: the period is 2 + 5 + 6 = 13 requests.

listen "webfarm" {
  bind "192.168.1.1:80" {}

  balance = "roundrobin"

  check "http" { request = "HEAD /index.html HTTP/1.0" }

  server "pentium" "192.168.1.11:80" {
    cookie = "P"
    weight = 8
  }
  server "opteron" "192.168.1.12:80" {
    cookie = "O"
    weight = 20
  }
  server "quad" "192.168.1.13:80" {
    cookie = "Q"
    weight = 24
  }
}
