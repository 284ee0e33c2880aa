import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { Empty } from './parts';

export function NotFound() {
  const { t } = useLingui();
  return (
    <Empty title={<h1>{t`There is no such page`}</h1>}>
      <Link to="/incidents">
        <Trans>To the incidents</Trans>
      </Link>
    </Empty>
  );
}
