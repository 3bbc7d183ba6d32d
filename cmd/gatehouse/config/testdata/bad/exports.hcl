tls "site" {
  internal = true
  export "out" { reload = ["systemctl", "reload", "exim4"] }
  export "exports.hcl" { format = "der" }
  export "more" {
    reload  = ["bin/reload"]
    timeout = "1ms"
    hosts   = ["a b"]
    owner   = "exim"
  }
  export {}
}
frontend "www" {
  bind "127.0.0.1:8443" { tls = tls.site }
  route {
    paths   = ["/*"]
    respond = 204
  }
}
