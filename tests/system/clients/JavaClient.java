// Copyright: Contributors to the wormhole.docker project
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

import java.io.InputStream;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Java's own TLS, with its default trust manager and its default check of the host's name. */
class JavaClient {
    public static void main(String[] arguments) throws Exception {
        Path certificates = Path.of(arguments[2]);
        URL url = URI.create("https://" + arguments[1] + "/version").toURL();
        HttpsURLConnection connection = (HttpsURLConnection) url.openConnection();
        connection.setConnectTimeout(20000);
        connection.setReadTimeout(20000);
        try {
            connection.setSSLSocketFactory(context(certificates).getSocketFactory());
            System.out.write(connection.getInputStream().readAllBytes());
            System.out.flush();
        } catch (Exception error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                System.err.println(cause);
            }
            System.exit(1);
        }
    }

    static SSLContext context(Path certificates) throws Exception {
        Certificate certificate = read(certificates.resolve("cert.pem"));
        char[] none = new char[0];
        KeyStore identity = KeyStore.getInstance(KeyStore.getDefaultType());
        identity.load(null, none);
        PrivateKey key = readKey(certificates.resolve("key.pem"), certificate.getPublicKey().getAlgorithm());
        identity.setKeyEntry("identity", key, none, new Certificate[] {certificate});
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(identity, none);

        KeyStore authorities = KeyStore.getInstance(KeyStore.getDefaultType());
        authorities.load(null, none);
        authorities.setCertificateEntry("authority", read(certificates.resolve("ca.pem")));
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(authorities);

        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    static Certificate read(Path path) throws Exception {
        try (InputStream stream = Files.newInputStream(path)) {
            return CertificateFactory.getInstance("X.509").generateCertificate(stream);
        }
    }

    static PrivateKey readKey(Path path, String algorithm) throws Exception {
        String text = Files.readString(path).replaceAll("-----.*-----", "");
        byte[] encoded = Base64.getMimeDecoder().decode(text);
        return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(encoded));
    }
}
