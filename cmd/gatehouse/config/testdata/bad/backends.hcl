frontend "www" {
  bind ":80" {}
  backend = backend.empty
  route {
    paths   = ["/a"]
    backend = backend.numbers
  }
  route {
    paths   = ["/b"]
    backend = backend.rewrite
  }
  route {
    paths   = ["/c"]
    backend = backend.prefix
  }
}

backend "empty" {}

backend "numbers" {
  retries     = -1
  all_backups = true
  cookie "SERVERID" {
    max_idle  = "100ms"
    domain    = ["example", "a b"]
    same_site = "none"
    secure    = false
  }
  check "http" {
    request  = "HEAD"
    host     = "a b"
    expect   = []
    interval = "0s"
    rise     = 0
    port     = 65536
  }
  check "tcp" {
    host = "www.example.com"
    fall = 0
  }
  forwardfor {
    header = "X Forwarded For"
  }
  server "web A" "10.0.0.1:80" { weight = 257 }
  server "b" "10.0.0.1" { weight = -1 }
  server "c" ":80" { source = "::1" }
  server "d" "fd@3" {}
  server "e" "10.0.0.1:80" { cookie = "a;b" }
  server "e" "10.0.0.2:80" {
    source = "::1"
    cookie = "a|b"
  }
  server "f" "10.0.0.2:80" {
    check "http" { request = "GET nowhere" }
  }
  server "g" "10.0.0.3:80" { protocol = "auto" }
}

backend "rewrite" {
  cookie "SITE" {
    mode     = "rewrite"
    indirect = true
    max_life = "8h"
    postonly = true
  }
  server "a" "10.0.0.1:80" { weight = 0 }
}

backend "prefix" {
  cookie "JSESSION ID" {
    mode     = "prefix"
    preserve = true
  }
  cookie "SECOND" {}
  server "a~b" "10.0.0.1:80" {}
}
