import type { X509Certificate } from "node:crypto";
import { issuerOf, type RevocationList } from "./revocation.ts";

/** The authorities and revocations of one reading of the files; asked about connections that are already open. */
export class Trust {
  readonly #authorities: readonly X509Certificate[];
  readonly #lists: readonly RevocationList[];

  constructor(authorities: readonly X509Certificate[], lists: readonly RevocationList[]) {
    this.#authorities = authorities;
    this.#lists = lists;
  }

  /** Whether a chain that was once verified still stands: nothing in it is revoked, and its authority is still here. */
  accepts(chain: readonly X509Certificate[]): boolean {
    return !chain.some((certificate) => this.#isRevoked(certificate)) && this.#isAnchored(chain);
  }

  #isRevoked(certificate: X509Certificate): boolean {
    if (this.#lists.length === 0) return false;
    const issuer = issuerOf(certificate);
    return this.#lists.some((list) => list.issuer === issuer && list.serials.has(certificate.serialNumber));
  }

  /** A renewed authority certificate with the same name and key is the same authority. */
  #isAnchored(chain: readonly X509Certificate[]): boolean {
    return chain.some((certificate) =>
      this.#authorities.some(
        (authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
      ),
    );
  }
}
