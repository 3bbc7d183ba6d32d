tls "own" { internal = true }
frontend "www" {
  hosts = ["a.test"]
  bind "unix:/run/www.sock" {
    tls   = tls.own
    http3 = true
  }
  bind "fd@3" {
    tls   = tls.own
    http3 = true
  }
  bind ":80" {
    redirect = "https"
    http3    = true
  }
  bind ":81" { http3 = true }
  bind ":82" {
    tls          = tls.own
    accept_proxy = ["10.0.0.0/8"]
    http3        = true
  }
  bind ":443" {
    tls   = tls.own
    http3 = true
  }
  backend = backend.app
}
frontend "other" {
  hosts = ["b.test"]
  bind ":443" { tls = tls.own }
  backend = backend.app
}
frontend "bytes" {
  mode = "tcp"
  bind ":444" {
    tls   = tls.own
    http3 = true
  }
  backend = backend.bytes
}
backend "app" {
  server "a" "127.0.0.1:8080" {}
}
backend "bytes" {
  mode = "tcp"
  server "a" "127.0.0.1:8081" {}
}
