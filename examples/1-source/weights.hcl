# The same with servers of different strength: weights count for addresses too.

listen "webfarm" {
  bind "192.168.1.1:80" {}

  balance = "source"

  cookie "SERVERID" { mode = "insert" }
  check "http" { request = "HEAD /index.html HTTP/1.0" }

  server "webA" "192.168.1.11:80" {
    cookie = "A"
    weight = 12
  }
  server "webB" "192.168.1.12:80" {
    cookie = "B"
    weight = 12
  }
  server "webC" "192.168.1.13:80" {
    cookie = "C"
    weight = 26
  }
  server "webD" "192.168.1.14:80" {
    cookie = "D"
    weight = 26
  }
}
