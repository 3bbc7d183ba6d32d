# S1L1 and S1L2, the balancers of site 1. Told to stop, they close port 81 at once, so that the directors send nobody new, and
# port 80 only 20 seconds later.

listen "appli" {
  bind ":80" {}

  balance = "roundrobin"
  grace   = "20s"

  monitor { uri = "/alive" }
  forwardfor { trusted = ["192.168.1.1", "192.168.2.1"] }
  cookie "JSESSIONID" { mode = "prefix" }
  check "http" { request = "HEAD / HTTP/1.0" }

  server "W11" "192.168.1.11:80" {
    cookie = "W11"
    check "http" { port = 81 }
  }
  server "W12" "192.168.1.12:80" {
    cookie = "W12"
    check "http" { port = 81 }
  }
  server "B11" "192.168.1.11:80" {
    cookie = "W11"
    backup = true
  }
  server "B12" "192.168.1.12:80" {
    cookie = "W12"
    backup = true
  }
}

listen "checks" {
  mode = "tcp"
  bind ":81" {}

  timeouts { connect = "1s" }

  server "self" "127.0.0.1:80" {}
}
