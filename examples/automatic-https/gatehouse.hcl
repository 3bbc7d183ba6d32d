# A whole site: https with a certificate of Let's Encrypt, http that leads there, and a program behind it.
listen "www" {
  hosts = ["example.com", "www.example.com"]
  server "app" "127.0.0.1:3000" {}
}
