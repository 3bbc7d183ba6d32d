global {
  group = "gatehouse"
}

tls "a" {
  certificate = "a.pem"
  hsts        = 63072000
  client_auth {
    mode = "optional"
  }
}

tls "b" {
  certificate = "b.pem"
  hsts        = "10ms"
  client_auth {
    crl = "revoked.pem"
  }
}

tls "c" {
  certificate = "c.pem"
  client_auth {
    mode = "request"
  }
  client_auth {
    ca = "again.pem"
  }
}

tls "d" {
  certificate = "d.pem"
  client_auth {
    ca = "clients.pem"
    headers {
      verify      = "X_SSL_Client_Verify"
      subject     = "Host"
      issuer      = "X-Client"
      serial      = "x-client"
      fingerprint = "X SSL"
      name        = "X-Name"
    }
  }
}

tls "e" {
  certificate = "e.pem"
  client_auth {
    ca = "clients.pem"
    headers {}
  }
}

frontend "www" {
  hosts = ["a.test"]
  bind ":443" { tls = tls.a }
  route {
    paths   = ["/*"]
    respond = 404
  }
}
