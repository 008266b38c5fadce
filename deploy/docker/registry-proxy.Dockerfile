# nginx with HTTPS and a password in front of the schema registry (SECURE=1).
FROM debian:13-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends nginx curl ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY deploy/local/nginx/nginx.conf.in /etc/registry-proxy.conf.in
# 127.0.0.11 is Docker's name server: the registry has another address after a restart.
RUN sed -e 's,@NGINX_DIR@,/tmp,; s,@CERTIFICATE@,/run/secure/registry-proxy,; s,@USERS@,/run/secure/users,' \
        -e 's,@LISTEN@,8081,; s,@BACKEND@,registry:8080,; s,@RESOLVER@,127.0.0.11,' \
        /etc/registry-proxy.conf.in >/etc/registry-proxy.conf \
 && ! grep @ /etc/registry-proxy.conf
USER 10001
EXPOSE 8081
STOPSIGNAL SIGQUIT
CMD ["nginx", "-e", "stderr", "-c", "/etc/registry-proxy.conf"]
