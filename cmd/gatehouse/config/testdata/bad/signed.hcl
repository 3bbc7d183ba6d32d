frontend "www" {
  bind ":80" {}
  backend = backend.passive
  route {
    paths   = ["/a"]
    backend = backend.unsigned
  }
  route {
    paths   = ["/b"]
    backend = backend.short
  }
}

backend "passive" {
  cookie "SITE" {
    mode   = "passive"
    signed = true
  }
  server "a" "10.0.0.1:80" {}
}

backend "unsigned" {
  cookie "SITE" {
    secret = "0123456789abcdef"
  }
  server "a" "10.0.0.1:80" {}
}

backend "short" {
  cookie "SITE" {
    signed = true
    secret = "webfarm"
  }
  server "a" "10.0.0.1:80" {}
}
