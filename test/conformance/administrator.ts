import { type Client, connect } from "../../clients/typescript/src/index.ts";
import { Action } from "../../gen/ts/secretslots/v1/admin_service_pb.ts";
import type { ServerProcess } from "./server-process.ts";

/** The runner's own hand on a server. */
export class Administrator {
  readonly client: Client;
  /** Policies are replaced as a whole: one change at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(client: Client) {
    this.client = client;
  }

  static async of(server: ServerProcess): Promise<Administrator> {
    const { address, tls } = server;
    const token = await server.adminToken();
    const options = { address, token, timeoutMs: 30_000, maxAttempts: 20 };
    return new Administrator(connect({ ...options, ...(tls && { tls: { ca: tls.caCert } }) }));
  }

  async createToken(principal: string): Promise<{ token: string; id: string }> {
    const { token, metadata } = await this.client.admin.createToken({ principal: `token:${principal}` });
    return { token, id: metadata!.tokenId };
  }

  async revokeToken(tokenId: string): Promise<void> {
    await this.client.admin.revokeToken({ tokenId });
  }

  /** Lets a principal do exactly these actions on the names; none takes its policy away. */
  grant(policyName: string, principal: string, names: string, actions: readonly string[]): Promise<void> {
    const change = this.#turn.then(async () => {
      const { policies, etag } = await this.client.admin.listPolicies({});
      const others = policies.filter(({ name }) => name !== policyName);
      const policy = {
        name: policyName,
        principals: [principal],
        rules: [{ names: [names], actions: actions.map((action) => Action[action as keyof typeof Action]) }],
      };
      await this.client.admin.applyPolicies({
        policies: actions.length > 0 ? [...others, policy] : others,
        etag,
      });
    });
    this.#turn = change.catch(() => {});
    return change;
  }

  close(): void {
    this.client.close();
  }
}
